"""Where a training writes its metrics: metrics.jsonl always, TensorBoard and MLflow if asked to."""
