CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT);
INSERT INTO customer (id, name, email) VALUES
    (1, 'Ana Gonçalves', 'Ana@example.org'),
    (2, 'František Wichterlová', 'frantisek@example.org'),
    (3, 'No Mail', NULL);
