"""Our Lava processes and their models.

Lava's compiler imports every module of this folder while it looks for models, so nothing here may
have side effects on import.
"""
