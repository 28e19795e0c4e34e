"""The notice and the consent form, which `--notice` and `--consent` name: written from what is known of the site.

facts      what is said of the site, and what nobody has said yet
paper      one text as plain text, as a page to print, and as sentences to be read aloud
shelf      the versions that were handed out: each with its digest, and none ever changed

The texts are `notice.zh.txt` and so on, in the words of people who live here. What the law asks of them: Measures on
face recognition (CAC and MPS order 19 of 2025), articles 5 to 10; PIPL articles 14 to 17, 29 to 31, 44 to 47.
"""
