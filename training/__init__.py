"""Log to model: data sets, models, one training loop each, evaluation and export."""
