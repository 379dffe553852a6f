class ChargeModel:
    pass
