"""One whole run: the request, images, preflight, resume, and the steps from a folder to its results."""
