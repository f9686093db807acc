"""What the commands take, as plain data: names, types, choices and help of every flag. Nothing here imports torch."""
