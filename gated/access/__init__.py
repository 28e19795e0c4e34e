"""The decision: may this person pass this gate now?"""
