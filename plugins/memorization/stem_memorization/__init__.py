"""Whether generated samples are copies of what was trained on."""
