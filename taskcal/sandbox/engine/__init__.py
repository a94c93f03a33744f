"""The container engine, as typed values and one translated set of errors; only this folder imports the docker SDK."""
