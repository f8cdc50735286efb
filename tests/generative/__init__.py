"""The generative test: small programs, every path of them run, compared with what the analysis says."""
