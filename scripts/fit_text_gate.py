"""Fit the gate that tells, by patch tokens, which photos may show text (data/text_gate.safetensors).

The labels come from the reader itself: photos of a folder are read at full size, and pages,
screenshots and signs are drawn, upright and in perspective, on their own and upon these photos. A
photo shows text if a line of three letters or more is read with a confidence of 0.8. Photos are
parted by the hash of their names: three in five fit, one chooses the threshold, one reports.

    python scripts/fit_text_gate.py FOLDER... --out data/text_gate.safetensors --seed 0
"""
