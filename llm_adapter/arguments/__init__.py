"""What a run is told: the fields of a training run, read from flags and YAML."""
