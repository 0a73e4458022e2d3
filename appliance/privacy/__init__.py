"""What may leave the box: an image without its patient.

allow_list.py  the elements that may survive, and the values each may hold
deidentify.py  one instance: allow-listed, pseudonymous, or refused
fates.py       what became of each element
pixel_data.py  the pixels and nothing beside them
codestream.py  comments and foreign segments taken out of compressed frames
compress.py    lossless compression, proven by decoding
package.py     the deterministic archive of a study that goes to the cloud
errors.py      what cannot be made safe
"""
