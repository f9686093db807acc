"""Many losses, tasks and kernels: does an advantage over DPO survive tuning?"""
