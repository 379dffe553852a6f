"""
==================================
Forces, and dynamics that use them
==================================

A network learns energies and forces of ethanol from 150 frames, and drives the dynamics of
ASE. Forces are the slope of the energy, so that the dynamics conserve it. Takes about 20
seconds on one core.
"""

# %%
# Two independent runs at 500 K, GFN2-xTB. One is learned from, the other one is for testing:
# frames of one run are alike, and a random split would not tell what the model has learned.
import matplotlib.pyplot as plt
import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

from qcanvas_sklearn import SchNetRegressor, load_trajectory
from qcanvas_sklearn.plotting import ParityDisplay

bundle = load_trajectory("ethanol")
first, second = (np.flatnonzero(bundle.groups == run) for run in np.unique(bundle.groups))
train, test = first[:150], second[:100]
X, y = bundle.data, bundle.target
print(X[train])

# %%
# Molecules carry their forces. A weight of them is all that it takes to learn them.
model = SchNetRegressor(
    n_hidden=64, max_epochs=40, batch_size=10, force_weight=10.0, random_state=0
)
model.fit(X[train], y[train])
energies, forces = model.predict(X[test], return_forces=True)
energy_error = np.abs(energies - y[test]).mean()
force_error = np.abs(forces - X[test].forces).mean()
print(f"energies: {1000 * energy_error:.0f} meV, forces: {1000 * force_error:.0f} meV/Å")
print(f"mean force: {1000 * np.abs(X[test].forces).mean():.0f} meV/Å")

# %%
# Without a thermostat the total energy is conserved; with one (Langevin, 300 K) it follows
# the temperature.
atoms = X[test[:1]].to_ase()[0]
atoms.calc = model.as_calculator()
rng = np.random.default_rng(0)
widths = np.sqrt(atoms.get_masses() * units.kB * 300)[:, None]


def run(make, n_steps):
    """Total energies of a trajectory that starts at 300 K, in eV."""
    copy = atoms.copy()
    copy.calc = atoms.calc
    copy.set_momenta(rng.normal(size=(len(copy), 3)) * widths)
    totals = []
    dynamics = make(copy)
    dynamics.attach(lambda: totals.append(copy.get_total_energy()))
    dynamics.run(n_steps)
    return np.array(totals)


free = run(lambda a: VelocityVerlet(a, 0.5 * units.fs), 400)
heated = run(
    lambda a: Langevin(
        a, 0.5 * units.fs, temperature_K=300, friction=0.02 / units.fs, rng=rng, fixcm=False
    ),
    400,
)
thermal = 1.5 * len(atoms) * units.kB * 300
print(f"drift without thermostat: {np.ptp(free) / thermal:.1%} of the kinetic energy at 300 K")

# %%
# Predicted forces against computed ones, and the total energies along both runs.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
ParityDisplay.from_predictions(X[test].forces.ravel(), forces.ravel(), ax=left)
left.set(xlabel="Computed force (eV/Å)", ylabel="Predicted force (eV/Å)")
time = 0.5 * np.arange(len(free))
right.plot(time, free - free[0], label="no thermostat")
right.plot(time, heated - heated[0], label="Langevin, 300 K")
right.set(xlabel="Time (fs)", ylabel="Total energy less that at the start (eV)")
right.legend()
plt.show()
