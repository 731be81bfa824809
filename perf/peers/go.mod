module corespun/peers

go 1.19
