"""`POST /evaluate`: a comparison of encoders on labelled images becomes a job."""
