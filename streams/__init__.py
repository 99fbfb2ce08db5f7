"""The running flow: Faust app and agents, lists, stores, triggers, replay and the command line."""
