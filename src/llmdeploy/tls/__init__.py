"""The edge's certificate: issued by an authority of the environment's own, or given by people and checked."""
