"""How often is the gate wrong? Rates of the whole product and of its models, each with n and its bounds."""
