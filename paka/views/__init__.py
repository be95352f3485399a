"""The crops that teacher and student see of one image: where they lie, and how they look."""
