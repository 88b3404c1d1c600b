"""Which settings hold, and where did each come from?"""
