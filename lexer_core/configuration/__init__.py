"""Where do settings come from: arguments, the environment, files?"""
