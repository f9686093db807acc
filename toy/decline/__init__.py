"""When DPO's chosen log-probability turns and falls, on the exact softmax path."""
