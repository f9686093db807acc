"""The lab: small exact experiments on known laws and softmax policies, with the theory beside every number."""
