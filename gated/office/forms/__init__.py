"""The privacy notice and the consent form, which `--notice` and `--consent` name. Filled in from the site's facts.

facts      the facts about the site, and which of them are missing
paper      one text as plain text, as a page to print, and as sentences to read aloud
shelf      the issued versions, each with its digest; an issued version never changes

The texts are `notice.zh.txt` and so on, in the residents' everyday words. Legal requirements: Measures on face
recognition (CAC and MPS order 19 of 2025), articles 5 to 10; PIPL articles 14 to 17, 29 to 31, 44 to 47.

Public: form_facts, paper, shelf.
"""
