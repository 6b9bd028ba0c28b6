"""Before go-live: a hospital's own year of orders, judged by the very rules that answer live."""
