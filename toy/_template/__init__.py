"""What a constant added to the critic costs NWJ, and does not cost DV."""

# Copy this folder to toy/NAME: that alone gives `python -m toy NAME`, whose help is the line above, and a place on the
# report. Nothing lists the experiments; a folder with an experiment.py is one, unless its name starts with "_".
