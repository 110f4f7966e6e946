from tests.golden.outputs import FOLDER, OUTPUTS, output

for name in OUTPUTS:
    (FOLDER / name).write_text(output(name), encoding="utf-8", newline="")
