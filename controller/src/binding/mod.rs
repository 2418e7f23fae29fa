//! Which hosts of a gateway a stored certificate answers for.
