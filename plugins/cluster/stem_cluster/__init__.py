"""Running on a cluster: submitting jobs and following them."""
