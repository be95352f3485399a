"""How good dense features are: protocols, labelled data sets, reports."""
