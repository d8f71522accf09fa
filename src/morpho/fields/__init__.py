"""Images, videos and 3D shapes as small neural fields (SCONE and its peers)."""
