"""The files of the small project that ``contraflow init`` makes."""
