"""The cloud sync endpoint: takes uploads, has each case read once by the full model, answers every box that sent it.

- ``settings``  every limit
- ``cases``     the tables, and what may happen to a case
- ``messages``  what else goes to boxes in the numbering of the answers, and what became of it
- ``uploads``   bytes on their way in, on disk
- ``reception`` an upload's steps from first byte to receipt
- ``endpoint``  the same over HTTP
- ``payload``   unpacking what boxes send, within limits
- ``analysis``  case by case through the full model
- ``serve``     the two processes
"""
