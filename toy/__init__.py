"""The lab: small exact experiments on Gaussian laws and softmax policies, their figures and their report."""
