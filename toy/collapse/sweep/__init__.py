"""Whether an advantage over DPO survives tuning: many losses, tasks and kernels."""
