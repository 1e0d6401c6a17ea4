"""Whatever is evaluated: chat models, engines and recordings behind one seam."""
