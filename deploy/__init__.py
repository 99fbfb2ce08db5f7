"""What runs the product on a machine: the local launcher, the compose file and the locked requirements."""
