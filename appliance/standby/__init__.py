"""Two boxes that take the same studies: one answers, the other stands by and stands in when the first is silent.

``gate``: whether lanes may carry at present. ``marks``: what has been settled, said so that both boxes mean the same.
``words``: what the two say to each other. ``state``: what each has to remember of the other. ``link``: how the standby
asks. ``endpoint``: how the first answers. ``turn``: whose turn it is, on the standby. ``hand_over``: the same on the
first. ``sameness``: in what the two boxes differ although they should not. ``view``: what the page says of it all.
"""
