"""Any experiment as an estimator of scikit-learn."""
