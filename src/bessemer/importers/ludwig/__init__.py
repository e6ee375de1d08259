"""Ludwig's config: features, preprocessing, trainer, combiner and hyperopt, in today's and in older keys."""
