package service

// Version is the product's version. Every package and message takes it from
// here.
const Version = "0.1.0"
