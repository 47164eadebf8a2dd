"""layerdiff: is a network written by hand the same network, layer by layer?"""
