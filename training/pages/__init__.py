"""Reports of a training or an evaluation as one HTML file each, plots inlined: what was found in, a page out."""
