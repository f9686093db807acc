"""Preference losses as bounds: identities, anchors, floors and what they certify."""
