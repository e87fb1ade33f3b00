"""Sign a model's files and verify them, in the OpenSSF Model Signing format that `model_signing verify key` reads too.

One file, `model.sig`, is a Sigstore bundle: a DSSE envelope with an in-toto statement of every file's SHA-256, signed
with an elliptic-curve key. Only `cryptography` is needed, which the serving image has for tokens.
"""
