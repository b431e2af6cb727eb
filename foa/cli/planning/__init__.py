"""A plan as a picture: `layout` says where what stands, `drawing` writes it as SVG."""
