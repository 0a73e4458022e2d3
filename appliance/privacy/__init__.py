"""What may leave the box: an image without its patient.

policy.py             the profile and its options, as a site has chosen them
kinds.py              which kinds of instance may go, and which are searched for words
deidentify.py         one instance: header, pixels, identity, and what was done; or refused
allow_list.py         the elements that may survive, and the values each may hold
known.py              a header built from the allow-list
profile_table.py      PS3.15 Table E.1-1 and E.3.4-1 (annex_e.tsv)
profile.py            a header by the Basic Profile with options
stay.py               what its decisions rest on: policy, key, shift of dates
content.py, codes.py  content items of reports, coded entries
words.py, dummies.py  text that may stay, and what stands for what may not
safe_private.py       private elements that may stay (safe_private.tsv)
pseudonyms.py         keyed stand-ins for identifiers, UIDs and dates
burned_in.py          words in the pixels, blanked
words_in_pictures.py  where they are (text_detector/)
fates.py              what became of each element
pixel_data.py         the pixels and nothing beside them
codestream.py         comments and foreign segments taken out of compressed frames
compress.py, htj2k.py lossless compression, proven by decoding
identifiers.py        what the originals say about the patient
outgoing.py           the second check: nothing of that is in what is about to leave
package.py            the deterministic archive of a study that goes to the cloud
errors.py             what cannot be made safe
"""
