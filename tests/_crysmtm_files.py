"""CrysMTM in its published layout."""

import io
import zipfile

from qcanvas_sklearn.datasets import _crysmtm

#: The labels at 0 K of the first phase.
VALUES = {"HOMO": -7.234, "LUMO": -4.1, "Eg": 3.134, "Ef": -5.5, "Et": -1234.5, "Eta": -20.1,
          "disp": 0.05, "vol": 1.25, "bond": 0.001}  # fmt: skip


def crysmtm_files(temperatures=(0, 50, 1000), rotations=(0, 1, 2, 10)):
    files, lines = {}, ["Polymorph,Temperature,Parameter,Value"]
    for p, phase in enumerate(_crysmtm.PHASES):
        for kelvin in temperatures:
            for k, value in VALUES.items():
                lines.append(f"{phase},{kelvin}K,{k},{value + p + kelvin / 1000:.4f}")
            for r in rotations:
                text = f"3\nTiO2 {r}\nTi 0.0 0.0 {r}\nO 0.0 1.9 {r}\nO 1.9 0.0 {r + p / 10}\n"
                files[f"{phase}/{kelvin}K/xyz/rot_{r}.xyz"] = text
                files[f"{phase}/{kelvin}K/text/rot_{r}.txt"] = "prose"
                files[f"{phase}/{kelvin}K/images/rot_{r}.png"] = "pixels"
    return files | {"labels.csv": "\n".join(lines) + "\n"}


def zip_of(files):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return body.getvalue()
