"""Gates between a trained model and its release: a bundle in; what each gate saw and needs, out.

`training.gates.recommender` and `training.gates.sentiment` put them in order.
"""
