"""Which engine exports the model to the format that an engine accepts, and is that cached?"""
